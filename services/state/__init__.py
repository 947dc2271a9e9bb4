"""The state interface and its implementations: an ordered map per partition, a cache of the changelog."""
