"""The lab's model: a script that plays every role for a few goals, through the same tool calls a real model makes."""
