"""What images and features are worth, measured through the runtime."""
