"""What looks on: recordings and the bridge to Foxglove. Only a person's request moves the robot from here."""
