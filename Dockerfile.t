FROM scratch
ADD rootfs.tar /
RUN id && python3 --version
