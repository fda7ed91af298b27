"""From a plan to stored answers: the only stage that is asynchronous, and the only one that spends."""
