-- How a user was called at an earlier launch is looked for at each new one.
CREATE INDEX launch_named ON launch (endpoint_id, user_reference, created_at)
    WHERE user_name <> '';
