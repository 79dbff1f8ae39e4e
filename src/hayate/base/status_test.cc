#include "hayate/base/status.h"

#include <gtest/gtest.h>

#include <cerrno>

namespace hayate {
namespace {

TEST(StatusTest, ErrorIsShownInOneShape) {
  const Status status = Fail(Fault::kInput, "not an integer: \"abc\"",
                             {.object = "data/a.csv.gz", .row = 812, .column = "price"},
                             "Give its type: schema={\"price\": \"STRING\"}.");
  EXPECT_EQ(FormatForUser(status),
            "hayate: error: not an integer: \"abc\"\n"
            "  where: data/a.csv.gz, row 812, column price\n"
            "  fix:   Give its type: schema={\"price\": \"STRING\"}.\n");
}

TEST(StatusTest, FailedSystemCallsSayWhatToDo) {
  for (const int error :
       {ENOSPC, EACCES, EROFS, ENOENT, EMFILE, EIO, EEXIST, ENOMEM, ENAMETOOLONG}) {
    const Status status = FailErrno(error, "cannot write", {.object = "a"});
    EXPECT_NE(FaultDetail::Get(status)->remedy(), "") << status;
  }
}

TEST(StatusTest, FaultSurvivesItsName) {
  for (const Fault fault : {Fault::kUsage, Fault::kInput, Fault::kUserCode, Fault::kWorkerDied,
                            Fault::kStorage, Fault::kBusy, Fault::kInterrupted, Fault::kInternal}) {
    EXPECT_EQ(FaultFromName(FaultName(fault)), fault);
    EXPECT_EQ(FaultOf(Fail(fault, "x")), fault);
  }
  EXPECT_EQ(FaultFromName("no such fault"), Fault::kInternal);
}

TEST(StatusTest, ExitCodesAreTheDocumentedOnes) {
  EXPECT_EQ(ExitCodeOf(Status::OK()), 0);
  EXPECT_EQ(ExitCodeOf(Fail(Fault::kUserCode, "x")), 1);
  EXPECT_EQ(ExitCodeOf(Fail(Fault::kUsage, "x")), 2);
  EXPECT_EQ(ExitCodeOf(Fail(Fault::kInterrupted, "x")), 130);
}

}  // namespace
}  // namespace hayate
