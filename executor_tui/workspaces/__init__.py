"""Where generated code lives and runs: a git repository, and commands in it under limits.

Callers talk to `base.Workspace`; `local` keeps the tree on this machine behind bubblewrap, `ssh` and `lxc` keep it on another one.
`inside` runs next to the tree and is standard library only. Nothing here knows of agents, models or projects, and nothing here decides
what to run.
"""
