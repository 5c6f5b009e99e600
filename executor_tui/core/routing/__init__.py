"""Behind the model router: what it knows (state, spend), one request on its way, and the answer being given. No HTTP server enters."""
