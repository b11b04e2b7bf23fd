"""What is measured: logd, its peers and the baselines, how they start, get warm and end."""
