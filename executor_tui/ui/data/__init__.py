"""What each screen reads: one file per screen, `fetch(store, …)` → a frozen view. No widgets and no Textual enter here."""
