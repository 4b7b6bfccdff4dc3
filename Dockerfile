# One image for the worker and both servers: the versions of requirements.lock, nothing else.
FROM python:3.11-slim-bookworm

# CPU build; for CUDA: --build-arg TORCH_INDEX=https://pypi.org/simple
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu

WORKDIR /app
COPY requirements.lock ./
RUN pip install --no-cache-dir --no-deps --index-url "$TORCH_INDEX" torch==2.13.0 \
 && pip install --no-cache-dir --requirement requirements.lock
COPY . .
RUN pip install --no-cache-dir --no-deps --no-build-isolation --editable . \
 && useradd --create-home rnntrade \
 && mkdir -p /store/mlflow /store/rnntrade \
 && chown -R rnntrade:rnntrade /store

USER rnntrade
ENV PYTHONUNBUFFERED=1
CMD ["rnntrade", "--help"]
