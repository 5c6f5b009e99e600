"""The containers that projects run in: made, found again, copied for test runs, and put away when the project is over.

Every step that touches the hypervisor is a change like any other; nothing here talks to it but to look.
"""
