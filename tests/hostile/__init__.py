"""Far ends that do harm, and what shows that nobody but their own call feels it."""
