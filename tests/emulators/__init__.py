"""Stand-ins for BigQuery, Cloud Storage, Google's credentials and bad networks, on 127.0.0.1.

What they are built from is installed by ``install.py``, outside of the checkout.
"""
