"""PostgreSQL: the only place that speaks SQL; every function takes ``tx`` first."""
