"""The one client over the wire: requests in a closed loop or an open loop, every answer timed and checked."""
