package main

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strings"

	"github.com/segue-audio/segue/enqueue"
)

// shop turns orders into sessions. It takes a Producer and not a *Client, so that
// its tests can give it a recorder.
type shop struct {
	segue    enqueue.Producer
	provider string
	log      *slog.Logger
}

func newShop(segue enqueue.Producer, provider string, log *slog.Logger) http.Handler {
	s := &shop{segue, provider, log}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /orders", s.place)
	mux.HandleFunc("GET /orders/{session}", s.show)
	mux.HandleFunc("DELETE /orders/{session}", s.cancel)
	return mux
}

// order is what a customer asks for: each song, continued from its last seconds.
type order struct {
	Number string   `json:"number"`
	Songs  []string `json:"songs"`
	Style  string   `json:"style"`
}

// receipt is what the customer gets to know.
type receipt struct {
	Session  string   `json:"session"`
	Status   string   `json:"status"`
	AudioIDs []string `json:"audioIds"`
	// Problems says of each song that did not make it why.
	Problems []string `json:"problems"`
}

const maxBody = 1 << 20

// place submits an order. The order's number is the session's key: a customer who
// presses the button twice, or whose request we answer too late, pays once.
func (s *shop) place(w http.ResponseWriter, r *http.Request) {
	var o order
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody)).Decode(&o); err != nil {
		s.answer(w, r, http.StatusBadRequest, map[string]string{"error": "the order is no JSON object"})
		return
	}
	if o.Number == "" || len(o.Songs) == 0 {
		s.answer(w, r, http.StatusUnprocessableEntity, map[string]string{"error": "an order has a number and songs"})
		return
	}
	items := make([]enqueue.Item, len(o.Songs))
	for n, song := range o.Songs {
		// Segue takes paths as well. From a stranger, one would name a file of the workers.
		if !strings.HasPrefix(song, "https://") {
			s.answer(w, r, http.StatusUnprocessableEntity, map[string]string{"error": "a song is an https URL"})
			return
		}
		items[n].Source = song
	}
	submitted, err := s.segue.Submit(r.Context(), enqueue.Session{
		Provider: s.provider,
		Name:     "order " + o.Number,
		Key:      "order-" + o.Number,
		Items:    items,
		Extend:   &enqueue.Extend{ContinueAt: -5, Style: o.Style},
	})
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	w.Header().Set("Location", "/orders/"+submitted.SessionID)
	s.answer(w, r, http.StatusAccepted, map[string]string{"session": submitted.SessionID})
}

// show says how far an order is.
func (s *shop) show(w http.ResponseWriter, r *http.Request) {
	status, err := s.segue.Status(r.Context(), r.PathValue("session"))
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	got := receipt{Session: status.SessionID, Status: status.Status, AudioIDs: status.AudioIDs, Problems: []string{}}
	for _, item := range status.Items {
		if item.Error != nil {
			got.Problems = append(got.Problems, item.Source+": "+item.Error.Reason)
		}
	}
	s.answer(w, r, http.StatusOK, got)
}

// cancel stops what has not begun.
func (s *shop) cancel(w http.ResponseWriter, r *http.Request) {
	status, err := s.segue.Cancel(r.Context(), r.PathValue("session"))
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	s.answer(w, r, http.StatusOK, map[string]int{"canceled": status.Counts.Canceled})
}

// refuse turns the kinds of Segue's failures into those of HTTP.
func (s *shop) refuse(w http.ResponseWriter, r *http.Request, err error) {
	invalid, isInvalid := errors.AsType[*enqueue.InvalidError](err)
	switch {
	case isInvalid:
		s.answer(w, r, http.StatusUnprocessableEntity, map[string][]string{"findings": invalid.Findings})
	case errors.Is(err, enqueue.ErrNotFound):
		s.answer(w, r, http.StatusNotFound, map[string]string{"error": "there is no such order"})
	case errors.Is(err, enqueue.ErrConflict):
		s.answer(w, r, http.StatusConflict, map[string]string{"error": "this number was used for another order"})
	case errors.Is(err, enqueue.ErrCanceled):
		s.answer(w, r, http.StatusGone, map[string]string{"error": "this order was canceled"})
	case errors.Is(err, enqueue.ErrUnavailable):
		// Nothing is lost: the customer orders again, under the same number.
		w.Header().Set("Retry-After", "5")
		s.answer(w, r, http.StatusServiceUnavailable, map[string]string{"error": "not now; order again in a moment"})
	default:
		s.log.ErrorContext(r.Context(), "order failed", slog.Any("error", err))
		s.answer(w, r, http.StatusInternalServerError, map[string]string{"error": "something is wrong here"})
	}
}

func (s *shop) answer(w http.ResponseWriter, r *http.Request, code int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	if err := json.NewEncoder(w).Encode(body); err != nil {
		s.log.WarnContext(r.Context(), "answer not sent", slog.Any("error", err))
	}
}
