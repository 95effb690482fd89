package session

import (
	"fmt"

	"github.com/segue-audio/segue/tasks"
)

// Next decides what follows from an item's state: the one task that should be on
// the queue, or none. It is the only place that decides so; handlers, producers,
// the sweep and a rebuild all ask it.
//
// A step whose State is sending or running has no task of its own: the worker
// that claimed it is executing it, and if that worker is dead the sweep notices.
func Next(it *Item) (task tasks.Task, ok bool, err error) {
	step := tasks.Step{
		V: tasks.Version, Session: it.Session, Index: it.Index,
		Name: string(it.Step), Generation: it.Generation, Rescue: it.Rescue,
	}
	switch it.State {
	case Queued:
		task, err = taskOf(it.Step, step)
	case Waiting:
		task, err = tasks.AudioPoll.New(tasks.Poll{Step: step})
	case Reconciling:
		task, err = tasks.AudioReconcile.New(tasks.Reconcile{Step: step})
	case Sending, Running, Held, Succeeded, Failed, Canceled:
		return tasks.Task{}, false, nil
	}
	return task, err == nil, err
}

// taskOf is the task that executes a step.
func taskOf(name StepName, step tasks.Step) (tasks.Task, error) {
	switch name {
	case StepUpload:
		return tasks.AudioUpload.New(tasks.Upload{Step: step})
	case StepExtend:
		return tasks.AudioExtend.New(tasks.Extend{Step: step})
	case StepFetch:
		return tasks.AudioFetch.New(tasks.Fetch{Step: step})
	}
	return tasks.Task{}, fmt.Errorf("session: no task executes step %q", name)
}

// SettleTask is the task that does what follows a completion.
func SettleTask(id string, completion, rescue int) (tasks.Task, error) {
	return tasks.SessionSettle.New(tasks.Settle{V: tasks.Version, Session: id, Completion: completion, Rescue: rescue})
}
