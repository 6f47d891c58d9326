"""Widgets that know no director: transcript, composer, fields, choosers."""
