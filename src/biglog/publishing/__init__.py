"""One verb for all that can be published to a Hub: `biglog.publishing.publish`."""

from biglog.publishing.sending import publish

__all__ = ["publish"]
