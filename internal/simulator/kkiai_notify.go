package simulator

import (
	"encoding/json"
	"time"
)

// kkiaiCallbacks names the deliveries to a notify_hook in scripts.
const kkiaiCallbacks = "kkiai.callback"

// kkiaiAnnouncer posts the task structure to the notify_hook: when there is
// something to hear, and at the end. That it comes more than once, and that a
// failed delivery is tried again, is documented nowhere for this provider; both
// are what its relatives do. Nothing is signed.
func kkiaiAnnouncer() *announcer {
	return &announcer{endpoint: kkiaiCallbacks, owed: kkiaiOwed, body: kkiaiNotice, lie: kkiaiLie}
}

func kkiaiOwed(_ *Simulator, o *operation) []announcement {
	end := announcement{kind: "end", due: o.finish, final: true}
	if o.Fate != succeeds {
		return []announcement{end}
	}
	streams := o.Created.Add(time.Duration(generateStages[2].end * float64(o.Took)))
	return []announcement{{kind: "stream", due: streams}, end}
}

func kkiaiNotice(s *Simulator, o *operation, n announcement) []byte {
	then := *o
	if !n.final {
		then.ended = false
	}
	task := s.kkiaiTask(&then, o.Base, n.due)
	return s.kkiaiWrap(task)
}

// kkiaiWrap puts the structure into the gateway's envelope for half of the
// seeds: the documents name the structure and show no request.
func (s *Simulator) kkiaiWrap(task kkiaiTask) []byte {
	var body any = task
	if s.dice.pick("kkiai/notify envelope", 0, 2) == 1 {
		body = kkiaiEnvelope{Code: "success", Data: task}
	}
	text, err := json.Marshal(body)
	if err != nil { // nothing in it can fail to encode
		panic("simulator: " + err.Error())
	}
	return text
}

// kkiaiLie claims the contrary of what is so, with clips that do not exist.
func kkiaiLie(s *Simulator, o *operation, number uint64) []byte {
	task := s.kkiaiTask(o, o.Base, s.now())
	if number%2 == 1 {
		task.Status, task.FailReason, task.Data = "FAILURE", "invented", nil
		return s.kkiaiWrap(task)
	}
	other := *o
	other.ID, other.ended = derive(o.ID, "invented"), true
	task.Status, task.FailReason, task.Data = "SUCCESS", "", s.kkiaiClips(&other, o.Base)
	return s.kkiaiWrap(task)
}
