"""Detection on whole logs and on streams: lines to groups, and groups to alerts with the lines behind them."""
