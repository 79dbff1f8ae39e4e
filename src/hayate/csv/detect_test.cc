#include "hayate/csv/detect.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

namespace hayate::csv {
namespace {

std::string Found(const std::string& text, bool whole = true) {
  return Describe(DetectDialect(text, whole));
}

struct Case {
  const char* what;
  std::string text;
  std::string found;
};

TEST(DetectDialect, FilesAsPeopleWriteThem) {
  const std::vector<Case> cases = {
      {"nothing", "", R"(delimiter=",", header=True)"},
      {"a header alone", "id,name,price\n", R"(delimiter=",", header=True)"},
      {"RFC 4180", "id,name\n1,\"a, b\"\n2,\"c \"\"d\"\"\"\n", R"(delimiter=",", header=True)"},
      {"decimal commas", "id;preis;ort\n1;3,50;Köln\n2;4,75;Bonn\n3;1,00;Ulm\n",
       R"(delimiter=";", header=True)"},
      {"decimal commas in two columns", "x;y\n1,5;2,5\n3,5;4,5\n-1,25;0,5\n",
       R"(delimiter=";", header=True)"},
      {"thousands", "name;sum\na;1.234,50\nb;12.345,00\n", R"(delimiter=";", header=True)"},
      {"tabs", "id\tname\n1\ta, b\n2\tc, d\n3\te\n", R"(delimiter="\t", header=True)"},
      {"bars", "id|name|at\n1|x y|2026-01-01\n2|z|2026-01-02\n", R"(delimiter="|", header=True)"},
      {"single quotes", "id,name\n1,'a, b'\n2,'c'\n3,'d, e, f'\n",
       R"(delimiter=",", quote_char="'", header=True)"},
      {"apostrophes", "id,name\n1,it's\n2,'tis\n3,don't\n", R"(delimiter=",", header=True)"},
      {"an inch", "id,name\n1,5\" pipe\n2,6\" pipe\n", R"(delimiter=",", header=True)"},
      {"quotes that open nothing", "id,name\n1,\"a\n2,\"b\n3,\"c\n4,d\n",
       R"(delimiter=",", quote_char=None, header=True)"},
      {"escapes", "id,name\n1,\"a \\\"b\\\", c\"\n2,\"d\"\n3,\"e \\\", f\"\n",
       R"(delimiter=",", escape_char="\\", header=True)"},
      {"escapes without quotes", "1,a\\,b\n2,c\n3,d\\,e\\,f\n4,g\n",
       R"(delimiter=",", escape_char="\\", header=False)"},
      {"a preamble", "Sales report\nmade 2026-01-01\n\nid,name,price\n1,a,2.5\n2,b,3.5\n3,c,1\n",
       R"(delimiter=",", skip_rows=3, header=True)"},
      {"a preamble with commas", "Report, weekly\nid,name,price\n1,a,2.5\n2,b,3.5\n3,c,1\n",
       R"(delimiter=",", skip_rows=1, header=True)"},
      {"Excel's line", "sep=;\nid;name\n1;a,b\n2;c,d\n",
       R"(delimiter=";", skip_rows=1, header=True)"},
      {"Excel's line, CRLF", "sep=|\r\nid|name\r\n1|a\r\n",
       R"(delimiter="|", skip_rows=1, header=True)"},
      {"comments", "# made by hand, twice\n# on Monday\nid,x\n1,2\n# half, way, through\n3,4\n",
       R"(delimiter=",", comment_prefix="#", header=True)"},
      {"a header that begins with #", "#id,name\n1,a\n2,b\n", R"(delimiter=",", header=True)"},
      {"no header", "1,a,2.5\n2,b,3.5\n", R"(delimiter=",", header=False)"},
      {"no header, dates", "2026-01-01,5\n2026-01-02,6\n", R"(delimiter=",", header=False)"},
      {"text without a header", "red,apple\nred,cherry\nyellow,banana\nred,plum\n",
       R"(delimiter=",", header=False)"},
      {"text with a header", "color,fruit\nred,apple\ngreen,pear\nyellow,banana\n",
       R"(delimiter=",", header=True)"},
      {"years as names", "country,2019,2020\nJapan,5.1,6.2\nKorea,4.1,5.5\n",
       R"(delimiter=",", header=True)"},
      {"years as values", "2019,2020\n2018,2019\n2001,2003\n", R"(delimiter=",", header=False)"},
      {"one column", "name\nJohn Smith\nJane Doe\nJim Beam\n", R"(delimiter=",", header=True)"},
      {"one column of numbers", "x\n1\n2\n3\n", R"(delimiter=",", header=True)"},
      {"one column of times", "2026-01-01 10:00:00\n2026-01-02 11:30:00\n2026-01-03 12:00:00\n",
       R"(delimiter=",", header=False)"},
      {"times among commas", "ts,v\n2026-01-01 10:00:00.123 UTC,1\n2026-01-02 11:30:00 UTC,2\n",
       R"(delimiter=",", header=True)"},
      {"colons", "root:x:0:0\ndaemon:x:1:1\nbin:x:2:2\nsys:x:3:3\n",
       R"(delimiter=":", header=False)"},
      {"columns of blanks", "1 2 3\n4 5 6\n7 8 9\n", R"(delimiter=" ", header=False)"},
      {"commas in a file of semicolons", "id;text\n1;one, two\n2;three, four\n3;five, six\n",
       R"(delimiter=";", header=True)"},
      {"Japanese", "番号,名前\n1,東京\n2,大阪\n", R"(delimiter=",", header=True)"},
      {"CRLF", "id;v\r\n1;2,5\r\n3;4,5\r\n", R"(delimiter=";", header=True)"},
      {"CR", "id;v\r1;2,5\r3;4,5\r", R"(delimiter=";", header=True)"},
      {"line breaks in quotes", "id,text\n1,\"a\nb; c; d\"\n2,\"e\n\nf\"\n3,g\n",
       R"(delimiter=",", header=True)"},
      {"blanks behind commas", "id, name, x\n1, \"a, b\", 2\n3, \"c\", 4\n",
       R"(delimiter=",", skip_initial_space=True, header=True)"},
      {"blanks without quotes", "id, x\n1, 2\n3, 4\n",
       R"(delimiter=",", skip_initial_space=True, header=True)"},
      {"empty cells", "id,a,b\n1,,\n2,,3\n,,\n", R"(delimiter=",", header=True)"},
      {"addresses", "mail|url\na@b.com|http://x.y/z?a=1;b=2,c\nc@d.org|https://e.f/\n",
       R"(delimiter="|", header=True)"},
      {"percents and money", "what;share;cost\na;12,5 %;€ 3,00\nb;7,25 %;€ 4,50\n",
       R"(delimiter=";", header=True)"},
  };
  for (const Case& one : cases) EXPECT_EQ(Found(one.text), one.found) << one.what;
}

TEST(DetectDialect, ALastLineThatIsCutOffDoesNotCount) {
  std::string text = "id;name\n";
  for (int i = 0; i < 20; ++i) text += std::to_string(i) + ";a,b\n";
  EXPECT_EQ(Found(text + "20,\"x", /*whole=*/false), R"(delimiter=";", header=True)");
}

// A table of random values, as a random dialect writes it.
class Writer {
 public:
  explicit Writer(unsigned seed) : random_(seed) {}

  std::string Write(Dialect* dialect) {
    dialect->delimiter = static_cast<uint8_t>(",;\t|"[Pick(4)]);
    dialect->quote = Pick(4) == 0 ? '\'' : '"';
    const unsigned columns = 2 + Pick(8);
    std::vector<unsigned> kinds;
    std::string text;
    for (unsigned c = 0; c < columns; ++c) {
      kinds.push_back(Pick(5));
      Separate(c, *dialect, &text);
      text += "name" + std::to_string(c);
    }
    bool any_quote = false;
    for (unsigned r = 0; r < 5 + Pick(60); ++r) {
      text += '\n';
      for (unsigned c = 0; c < columns; ++c) {
        Separate(c, *dialect, &text);
        any_quote |= AddValue(kinds[c], *dialect, &text);
      }
    }
    if (!any_quote) dialect->quote = '"';
    return text + '\n';
  }

 private:
  unsigned Pick(unsigned n) { return random_() % n; }

  static void Separate(unsigned column, const Dialect& dialect, std::string* text) {
    if (column > 0) *text += static_cast<char>(dialect.delimiter);
  }

  // Whether it is quoted.
  bool AddValue(unsigned kind, const Dialect& dialect, std::string* text) {
    const auto quote = static_cast<char>(dialect.quote);
    switch (kind) {
      case 0:
        *text += std::to_string(Pick(100000));
        return false;
      case 1:
        *text += std::to_string(Pick(1000)) + "." + std::to_string(Pick(100));
        return false;
      case 2:
        *text += "2026-0" + std::to_string(1 + Pick(9)) + "-1" + std::to_string(Pick(10));
        return false;
      case 3:
        *text += std::string(1 + Pick(8), static_cast<char>('a' + Pick(26)));
        return false;
      default:
        *text += quote + std::string("some") + static_cast<char>(dialect.delimiter) + " text " +
                 std::to_string(Pick(99)) + quote;
        return true;
    }
  }

  std::mt19937 random_;
};

TEST(DetectDialect, FindsWhatATableWasWrittenWith) {
  constexpr unsigned kTables = 500;
  unsigned found = 0;
  for (unsigned seed = 0; seed < kTables; ++seed) {
    Dialect dialect;
    const std::string text = Writer(seed).Write(&dialect);
    const Detected detected = DetectDialect(text, true);
    const bool right = detected.dialect == dialect && detected.header && detected.skip_rows == 0;
    found += right ? 1 : 0;
  }
  EXPECT_GE(found, kTables * 98 / 100);
}

TEST(DetectDialect, AnyBytesWillDo) {
  std::mt19937 random(9);
  const std::string alphabet = "a1,;\t|\"'\\\n\r #:^~=sep.\xff";
  for (int round = 0; round < 3000; ++round) {
    std::string text(random() % 300, ' ');
    for (char& c : text) c = alphabet[random() % alphabet.size()];
    const Detected detected = DetectDialect(text, random() % 2 == 0);
    EXPECT_GE(detected.skip_rows, 0);
    EXPECT_NE(Describe(detected), "");
  }
}

}  // namespace
}  // namespace hayate::csv
