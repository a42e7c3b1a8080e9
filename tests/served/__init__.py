"""Real servers for the tests of the API engine: tiny pairs, a proxy that fails."""
