"""Candles in files: Parquet and CSV out of a store and into one, and pictures of them."""
