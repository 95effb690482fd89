package simulator_test

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/segue-audio/segue/internal/simulator"
)

// TestInsideASynctestBubble runs on the bubble's clock: nothing in the simulator
// may keep the bubble from idling, and a waiting operation must not need a
// goroutine to end.
func TestInsideASynctestBubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sim, err := simulator.New(simulator.Options{Seed: 5, NoFetch: true, UploadTime: simulator.Timing{Mean: time.Hour}})
		if err != nil {
			t.Fatal(err)
		}
		answer := direct(sim, http.MethodPost, uploadPath, `{"audioUrl":"http://source/a.mp3"}`).Body.String()
		task := strings.Split(answer, `"`)[3]
		synctest.Wait()
		state := func() string {
			return strings.Split(direct(sim, http.MethodGet, statusPath+task, "").Body.String(), `"`)[7]
		}
		time.Sleep(59 * time.Minute)
		if got := state(); got != "running" {
			t.Errorf("after 59 minutes: %s, want running", got)
		}
		time.Sleep(time.Minute)
		if got := state(); got != "success" {
			t.Errorf("after an hour: %s, want success", got)
		}
		if err := sim.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
}
