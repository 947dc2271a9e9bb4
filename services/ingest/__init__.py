"""Where SDKs and senders come in: events to the `events` topic, apps to the `functions` topic, runs to their owner."""
