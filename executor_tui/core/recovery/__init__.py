"""Parts of power recovery: last_state.json, the kind of outage, suspects of repeated crashes, the report. Decisions here are pure."""
