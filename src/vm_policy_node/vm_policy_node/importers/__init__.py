"""Policies of other projects get the contract that they lack: one file a format, `vm-import-policy` for all."""
