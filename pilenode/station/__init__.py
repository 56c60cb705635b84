"""The session process: sessions, money, journal, upstream."""
