"""A shop whose orders are fulfilled by durable functions: `app` is the shop, `demo` runs it and shows what happened."""
