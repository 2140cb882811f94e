package api

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/xdpxe/xdpxe/responder/deploy"
	"github.com/xdpxe/xdpxe/responder/store"
)

// Tokens makes and checks the tokens of installers. Each is good to call back
// for one machine's run of one deployment, and for nothing else. They are made
// of a secret that all servers of a fleet have in common, by the store.
type Tokens struct {
	secret atomic.Pointer[[]byte]
}

// SecretStore is what Tokens needs of the store.
type SecretStore interface {
	Get(ctx context.Context, key string) (store.Item, bool, error)
	Commit(ctx context.Context, checks []store.Check, writes []store.Write) (store.Rev, error)
}

const (
	secretKey   = "api/callback-secret"
	secretBytes = 32
	secretRetry = time.Second
)

// Run reads the secret, and writes one if there is none, as soon as the store
// answers. It returns when it has, or when ctx ends.
func (t *Tokens) Run(ctx context.Context, s SecretStore) error {
	for {
		secret, err := loadSecret(ctx, s)
		if err == nil {
			t.secret.Store(&secret)
			return nil
		}
		if !errors.Is(err, store.ErrUnavailable) && !errors.Is(err, store.ErrConflict) {
			return err
		}
		timer := time.NewTimer(secretRetry)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
	}
}

func loadSecret(ctx context.Context, s SecretStore) ([]byte, error) {
	it, found, err := s.Get(ctx, secretKey)
	if err == nil && !found {
		it.Value = make([]byte, secretBytes)
		_, _ = rand.Read(it.Value) // never fails
		_, err = s.Commit(ctx, []store.Check{{Key: secretKey}}, []store.Write{{Key: secretKey, Value: it.Value}})
	}
	if err != nil {
		return nil, fmt.Errorf("the secret of callback tokens: %w", err)
	}
	if len(it.Value) < secretBytes {
		return nil, fmt.Errorf("the secret of callback tokens has %d bytes, not %d: delete %s from the store", len(it.Value), secretBytes, secretKey)
	}
	return it.Value, nil
}

// ErrNoTokens is returned until the store has been read.
var ErrNoTokens = errors.New("the store has not been read yet: no callback token can be made")

// For returns the token of a run.
func (t *Tokens) For(run deploy.RunID) (string, error) {
	secret := t.secret.Load()
	if secret == nil {
		return "", ErrNoTokens
	}
	machine := hex.EncodeToString(run.Machine.Bytes())
	return machine + "." + base64.RawURLEncoding.EncodeToString(seal(*secret, run.ID, machine)), nil
}

// check returns the machine that a token of a deployment is for.
func (t *Tokens) check(token, id string) (deploy.Identity, error) {
	secret := t.secret.Load()
	if secret == nil {
		return deploy.Identity{}, fmt.Errorf("%w: %w", store.ErrUnavailable, ErrNoTokens)
	}
	machine, sum, _ := strings.Cut(token, ".")
	got, err := base64.RawURLEncoding.DecodeString(sum)
	if err != nil || !hmac.Equal(got, seal(*secret, id, machine)) {
		return deploy.Identity{}, unauthorized("the token is not this deployment's")
	}
	return deploy.ParseIdentity(machine)
}

func seal(secret []byte, id, machine string) []byte {
	h := hmac.New(sha256.New, secret)
	h.Write([]byte("xdpxe callback\x00" + id + "\x00" + machine))
	return h.Sum(nil)
}
