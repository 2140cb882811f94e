package api

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/xdpxe/xdpxe/responder/deploy"
)

// authority signs certificates.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	file string
}

func newAuthority(t *testing.T, name string) *authority {
	a := &authority{t: t}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(time.Hour)}
	a.cert, a.key = template, newKey(t)
	der := a.sign(template, a.key)
	var err error
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	a.file = pemFile(t, "CERTIFICATE", der)
	return a
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func (a *authority) sign(template *x509.Certificate, key *ecdsa.PrivateKey) []byte {
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	return der
}

// issue makes files of a certificate for name and of its key.
func (a *authority) issue(name string, until time.Time) (cert, key string) {
	a.t.Helper()
	k := newKey(a.t)
	der := a.sign(&x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}, NotBefore: time.Now().Add(-47 * time.Hour), NotAfter: until}, k)
	raw, err := x509.MarshalECPrivateKey(k)
	if err != nil {
		a.t.Fatal(err)
	}
	return pemFile(a.t, "CERTIFICATE", der), pemFile(a.t, "EC PRIVATE KEY", raw)
}

func pemFile(t *testing.T, kind string, der []byte) string {
	return write0600(t, string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})))
}

const goodToken = "0123456789abcdef0123456789abcdef"

// onTCP serves a handler by TLS; the client has a certificate if cert is not empty.
func onTCP(t *testing.T, h http.Handler, ca *authority, c Config, cert, key string) *client {
	t.Helper()
	c.Listen, c.Log = "127.0.0.1:0", zap.NewNop()
	c.Cert, c.Key = ca.issue("boot1", time.Now().Add(time.Hour))
	s, err := Listen(c, h)
	if err != nil {
		t.Fatal(err)
	}
	serve(t, s.Serve)
	pool := x509.NewCertPool()
	pool.AddCert(ca.cert)
	config := &tls.Config{RootCAs: pool}
	if cert != "" {
		pair, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			t.Fatal(err)
		}
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
	}
	tr := &http.Transport{TLSClientConfig: config}
	t.Cleanup(tr.CloseIdleConnections)
	return &client{t: t, http: &http.Client{Transport: tr}, base: "https://" + s.Addr().String()}
}

// TestOverTLS: on TCP everything needs the token or a certificate.
func TestOverTLS(t *testing.T) {
	c, s := catalogue(t, deploy.Limits{})
	o := options(c)
	token := tokens(t, o.Tokens, s)
	h := checked(t, o)
	ca := newAuthority(t, "site")
	byToken := Config{TokenFile: write0600(t, goodToken+"\n")}

	a := onTCP(t, h, ca, byToken, "", "")
	for _, auth := range []string{"Nothing: 1", "Authorization: Bearer " + goodToken[1:], "Authorization: Bearer", "Authorization: Basic " + goodToken, "Authorization: Bearer " + strings.ToUpper(goodToken)} {
		r := a.want(a.ask("GET", "/v1/deployments", "", auth), http.StatusUnauthorized, CodeUnauthorized)
		if r.header.Get("WWW-Authenticate") == "" {
			t.Errorf("%s: no WWW-Authenticate", auth)
		}
	}
	good := "Authorization: Bearer " + goodToken
	body := `{"id":"once","target":{"mac":"` + macA + `"},"profile":"linux","once":true,"milestone":{"on":"callback"}}`
	a.want(a.ask("POST", "/v1/deployments", body, good), http.StatusCreated)
	a.want(a.ask("GET", "/v1/deployments/once", "", good), http.StatusOK, `"by":"token"`)
	a.want(a.ask("GET", "/v1/deployments", "", good, "Sec-Fetch-Site: cross-site"), http.StatusOK)
	a.want(a.ask("POST", "/v1/deployments", body, good, "Sec-Fetch-Site: cross-site"), http.StatusForbidden, CodeForbidden)

	// An installer has the token of its run, and that is good for nothing else.
	begin(t, c, "once", identity(t, macA))
	run := "Authorization: Bearer " + token(deploy.RunID{ID: "once", Machine: identity(t, macA)})
	a.want(a.ask("GET", "/v1/deployments", "", run), http.StatusUnauthorized)
	a.want(a.ask("POST", "/v1/deployments/once/cancel", "", run), http.StatusUnauthorized)
	other := "Authorization: Bearer " + token(deploy.RunID{ID: "other", Machine: identity(t, macA)})
	a.want(a.ask("POST", "/v1/deployments/once/callback", "", other), http.StatusUnauthorized)
	a.want(a.ask("POST", "/v1/deployments/once/callback", "", "Authorization: Bearer x.y"), http.StatusUnauthorized)
	a.want(a.ask("POST", "/v1/deployments/once/callback", `{"machine":"`+macB+`"}`, run), http.StatusUnprocessableEntity)
	a.want(a.ask("POST", "/v1/deployments/once/callback", `{"message":"installed"}`, run), http.StatusNoContent)
	a.want(a.ask("GET", "/v1/deployments/once", "", good), http.StatusOK, `"done"`, "installed")

	byCert := Config{ClientCA: ca.file}
	cert, key := ca.issue("ann", time.Now().Add(time.Hour))
	b := onTCP(t, h, ca, byCert, cert, key)
	b.want(b.ask("PUT", "/v1/groups/lab", ""), http.StatusOK, `"by":"ann"`)
	b = onTCP(t, h, ca, byCert, "", "")
	b.want(b.ask("GET", "/v1/groups", ""), http.StatusUnauthorized)
	b.want(b.ask("GET", "/v1/groups", "", "Authorization: Bearer "), http.StatusUnauthorized)
	strangers := newAuthority(t, "strangers")
	oldCert, oldKey := ca.issue("gone", time.Now().Add(-time.Hour))
	foreignCert, foreignKey := strangers.issue("ann", time.Now().Add(time.Hour))
	for name, pair := range map[string][2]string{"expired": {oldCert, oldKey}, "of strangers": {foreignCert, foreignKey}} {
		b := onTCP(t, h, ca, byCert, pair[0], pair[1])
		resp, err := b.http.Get(b.base + "/v1/groups")
		if err == nil {
			resp.Body.Close()
			t.Errorf("a certificate %s: %s", name, resp.Status)
		}
	}
}

// TestListenRefuses: what would leave the API open, or shut, is a mistake at the start.
func TestListenRefuses(t *testing.T) {
	ca := newAuthority(t, "site")
	cert, key := ca.issue("boot1", time.Now().Add(time.Hour))
	open := write0600(t, goodToken)
	if err := os.Chmod(open, 0o644); err != nil {
		t.Fatal(err)
	}
	for want, c := range map[string]Config{
		"nobody could use it":     {Cert: cert, Key: key},
		"chmod 0640":              {Cert: cert, Key: key, TokenFile: open},
		"16 to 512 characters":    {Cert: cert, Key: key, TokenFile: write0600(t, "short")},
		"no certificate in PEM":   {Cert: cert, Key: key, ClientCA: write0600(t, "nothing")},
		"no such file":            {Cert: filepath.Join(t.TempDir(), "none"), Key: key, TokenFile: write0600(t, goodToken)},
		"token-file: ":            {Cert: cert, Key: key, TokenFile: filepath.Join(t.TempDir(), "none")},
		"certificate " + key + "": {Cert: key, Key: key, TokenFile: write0600(t, goodToken)},
	} {
		c.Listen, c.Log = "127.0.0.1:0", zap.NewNop()
		s, err := Listen(c, http.NotFoundHandler())
		if err == nil {
			s.Close()
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in: %v", want, err)
		}
	}
}
