"""Floor 6: the Textual console. A client of the store: panes read it, actions write to it, nothing here runs the fleet."""
