"""Figures as people and programs read them: tables of text, Markdown, JSON."""
