"""The use cases, in the order a request meets them: receive, lanes, deliver, changes, reconcile."""
