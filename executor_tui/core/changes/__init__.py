"""Changes to machines: planned, consented to, guarded, applied, verified, and then committed or rolled back; each leaves a receipt.

What a device is and how it plans lives in `agents`; nothing here knows containers or firewalls. Each change is one durable workflow.
"""
