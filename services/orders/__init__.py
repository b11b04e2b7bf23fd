"""The order services: an ecosystem of small processes around a log. See README.md beside this file."""
