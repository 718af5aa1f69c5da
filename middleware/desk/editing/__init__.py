"""What people change of one patient: forms, what came back, and how it is saved."""
