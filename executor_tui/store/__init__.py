"""Floor 1: the only room with SQL. Tables, migrations, one repository per aggregate, the change feed."""
