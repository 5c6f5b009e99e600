"""The projects' durable work: PM → Architect → Coder ⇄ QA → delivered, as a DBOS workflow that a power cut cannot derail.

Only decisions about a project's course enter here. What a role says and does is in `agents`, where code runs in `workspaces`.
"""
