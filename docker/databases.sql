-- Run once, by PostgreSQL's image, when its volume is empty.  One each: both keep a table alembic_version.
create database prefect;
create database mlflow;
