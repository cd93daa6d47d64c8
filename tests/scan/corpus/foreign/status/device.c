struct scope { int trigger_status; };
if (scope->trigger_status_reg & 1) arm(scope);
