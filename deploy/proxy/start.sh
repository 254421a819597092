# In its container: a throw-away certificate where there is none, then nginx (docs/how-to/https.md).
set -e
cd /app/.kit/proxy
if [ ! -e key.pem ] || [ ! -e certificate.pem ]; then
    umask 077
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 365 \
        -config /app/deploy/proxy/certificate.cnf -keyout key.pem -out certificate.pem
fi
exec nginx -p /tmp -c /app/deploy/proxy/nginx.conf
