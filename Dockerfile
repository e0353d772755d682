# docker build -t fingerprint . && docker run --rm -v "$PWD:/data:ro" fingerprint rank /data/real /data/fake
FROM python:3.13-slim
COPY . /src
RUN pip install --no-cache-dir "/src[report,medical]" && rm -rf /src && useradd --create-home fingerprint
USER fingerprint
WORKDIR /home/fingerprint
# compiled kernels are kept in the image, so that no container compiles them again
ENV NUMBA_CACHE_DIR=/home/fingerprint/kernels
RUN fingerprint warm-up
ENTRYPOINT ["fingerprint"]
CMD ["--help"]
