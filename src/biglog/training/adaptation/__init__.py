"""Adapting the encoder to a task or to a user's own logs; `biglog.training.adapt` is the way in."""
