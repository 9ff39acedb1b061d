"""Detection on whole logs and on streams: lines to groups, groups to alerts with the lines behind them."""
