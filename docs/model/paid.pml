/*
 * The paid-request protocol of Segue, as a Promela model for Spin.
 *
 * A provider bills a request when it accepts it and knows no idempotency key.
 * This model lets everything go wrong that the protocol is made for, at every
 * point between two actions, and looks at every order of events there is:
 *
 *   P1   per item, step and generation, no second paid request leaves after one
 *        that was not surely refused
 *   P1b  of two charged generations of a step, somebody decided about the earlier:
 *        a person or the session's policy, never evidence alone
 *   P2   every charge is on the item's record, or decided about, or its item is
 *        sending, reconciling or held in that generation
 *   P2b  a handler that saw an acceptance, and returns, has put it on record
 *   P3   a session completes only when all of it has ended, and what follows a
 *        completion happens once
 *   live always again, every item has ended or is held, and no completion is owed
 *
 * README.md beside this file says what is left out, and how to run it. What follows
 * the tag "code" with an at sign is the place in the source that is stood for;
 * scripts/model.sh checks that it still exists.
 *
 * One transition here is one step that is indivisible there: one script in Redis,
 * one request handed to the network, one answer read. Processes may be slow for
 * as long as they like at any point, which is all that a freeze is.
 */

/* How much there is. Everything else is finite by itself. */
#ifndef ITEMS
#define ITEMS 1
#endif
#ifndef STEPS
#define STEPS 2   /* the last one is paid; before it an upload, free or paid */
#endif
#ifndef GENS
#define GENS 3    /* no decision leads past the last generation */
#endif
#ifndef FAULTS
#define FAULTS 3  /* any so many, of any kind, at any point */
#endif
#ifndef OPS
#define OPS 1     /* decisions by people */
#endif
/* Two limits, smaller here than there, so that they are met. */
#define DEATHS 2  /* workers that a step may kill; 3. @code session.maxDeaths */
#define DOUBTS 2  /* requests of a step that may end in doubt; 3. @code session.maxDoubts */
#define WORKERS 2
#define NSLOTS (ITEMS * STEPS * GENS)

/* The states of an item. @code session.State */
#define ABSENT      0 /* not submitted yet */
#define QUEUED      1
#define RUNNING     2
#define SENDING     3
#define WAITING     4
#define RECONCILING 5
#define HELD        6
#define SUCCEEDED   7
#define FAILED      8
#define CANCELED    9

#define ended(s)   ((s) >= SUCCEEDED)
#define claimed(s) ((s) == RUNNING || (s) == SENDING)
#define doubted(s) ((s) == RECONCILING || (s) == HELD)

/* One slot for the paid requests of each item, step and generation. */
#define NONE     0 /* no request that may be billed */
#define FLYING   1 /* it left, and is on its way */
#define DROPPED  2 /* it never arrived, or its refusal never came back */
#define REFUSED  3 /* surely not charged, and the answer is there to be read */
#define BILLED   4 /* accepted; the answer was lost */
#define ANSWERED 5 /* accepted; the answer is there to be read */
#define SPOILT   6 /* charged, and failed at once */
#define RECORDED 7 /* accepted or spoilt, and on the item's record */

#define SLOT(i, s, g) (((i) * STEPS + (s)) * GENS + (g))
#define itemOf(x)     ((x) / (STEPS * GENS))
#define lineOf(x)     ((x) / GENS) /* item and step */
#define genOf(x)      ((x) % GENS)
#define charged(x)    (slot[x] >= BILLED)

typedef Item {
	byte st;      /* State */
	byte step;    /* Step */
	byte gen;     /* Generation */
	bit  over;    /* Claim.Over has passed: its until, and a minute */
	bit  silent;  /* the worker did not report the doubt itself */
	byte deaths;  /* Deaths */
	byte doubts;  /* Doubts */
	bit  inbox;   /* the inbox holds a report about this step and generation */
	bit  task;    /* a task of the item is on the queue */
}
Item it[ITEMS];

byte slot[NSLOTS];
byte used[ITEMS * STEPS];    /* Used: generations ever claimed */
byte decided[ITEMS * STEPS]; /* generations below it were decided about */

byte faults = FAULTS;
byte ops = OPS;
bit paidUpload; /* Info.Uploads.Paid */
bit resubmits;  /* the session's on_unknown */
bit sealed;
bit ready;
bit halted;     /* the session was canceled */

/* What P3 looks at. */
#define COMPLETIONS (OPS + 1)
byte completions;
bit  owed[COMPLETIONS + 1];    /* the outbox */
byte effects[COMPLETIONS + 1]; /* how often what follows was recorded as done */
#ifdef SETTLE_COUNTER
byte done; /* broken: a counter instead of one result per index */
#endif

/* The workers. Each executes one delivery at a time: what one process does at
 * once concerns different items, and shares nothing but the name in the claim. */
#define IDLE     0
#define READY    1 /* has read a queued item */
#define PREPARE  2 /* has claimed it as running */
#define CLAIMED  3 /* has written the intent */
#define SENT     4 /* its paid request has left */
#define STRAY    5 /* knows of an acceptance, and could not record it: the item has moved on */
#define ABSOLVE  6 /* has found that a request in doubt was not accepted */
byte pc[WORKERS];
byte mine[WORKERS]; /* the slot that the delivery is about */
bit  fresh[WORKERS]; /* nobody has written the item since it was read: comparing
                      * epochs that only rise tells exactly this */
bit  token[WORKERS]; /* the item's claim bears the token that this delivery made */
bit  late[WORKERS];  /* the request's deadline has passed, by the worker's clocks */

/* What failed, by name: Spin prints the assertion. -DONLY -DONLY_P1 looks at P1 alone. */
bool P1_paid_once = true;
bool P1b_never_twice_undecided = true;
bool P2_nothing_lost = true;
bool P2b_seen_is_recorded = true;
bool P3_complete_when_all_ended = true;
bool P3_settled_once = true;
#if !defined(ONLY) || defined(ONLY_P1)
#define broke_P1 P1_paid_once = false; assert(P1_paid_once)
#else
#define broke_P1 skip
#endif
#if !defined(ONLY) || defined(ONLY_P1b)
#define broke_P1b P1b_never_twice_undecided = false; assert(P1b_never_twice_undecided)
#else
#define broke_P1b skip
#endif
#if !defined(ONLY) || defined(ONLY_P2)
#define broke_P2 P2_nothing_lost = false; assert(P2_nothing_lost)
#else
#define broke_P2 skip
#endif
#if !defined(ONLY) || defined(ONLY_P2b)
#define broke_P2b P2b_seen_is_recorded = false; assert(P2b_seen_is_recorded)
#else
#define broke_P2b skip
#endif
#if !defined(ONLY) || defined(ONLY_P3)
#define broke_P3 P3_complete_when_all_ended = false; assert(P3_complete_when_all_ended)
#define broke_P3once P3_settled_once = false; assert(P3_settled_once)
#else
#define broke_P3 skip
#define broke_P3once skip
#endif

#define about(i, w) (SLOT(i, it[i].step, it[i].gen) == mine[w])
#define current(i)  SLOT(i, it[i].step, it[i].gen)
#define is(x)      (current(itemOf(x)) == (x))
#define lastStep(i) (it[i].step + 1 == STEPS)
#define paid(i)     (lastStep(i) || paidUpload)
#define at(i, w)    (pc[w] != IDLE && itemOf(mine[w]) == i)

/* Every write raises the epoch: what others have read is stale.
 * @code session/lua/write.lua @code session.Store.Write */
inline wrote(i) {
	if :: at(i, 0) -> fresh[0] = 0 :: else fi;
	if :: at(i, 1) -> fresh[1] = 0 :: else fi
}

/* The claim goes, and with it everybody's token. @code session.Item.release */
inline release(i) {
	it[i].over = 0;
	it[i].silent = 0;
	if :: at(i, 0) -> token[0] = 0 :: else fi;
	if :: at(i, 1) -> token[1] = 0 :: else fi
}

#if ITEMS == 1
#define allEnded (ended(it[0].st))
#define anyEnded allEnded
#define allIn    (it[0].st != ABSENT)
#define anyTask  (it[0].task)
#else
#define allEnded (ended(it[0].st) && ended(it[1].st))
#define anyEnded (ended(it[0].st) || ended(it[1].st))
#define anyTask  (it[0].task || it[1].task)
#define allIn    (it[0].st != ABSENT && it[1].st != ABSENT)
#endif

/* The write that makes the session complete also writes the outbox. The results
 * are a hash by index, so they are all there when all have ended.
 * @code session/lua/prelude.lua */
inline complete() {
	completions++;
	owed[completions] = 1;
	if
	:: sealed && allIn && allEnded
	:: else -> broke_P3
	fi
}

/* An item ends. */
inline finish(i, how) {
	it[i].st = how;
	it[i].deaths = 0;
	it[i].doubts = 0;
	it[i].inbox = 0;
#ifndef SETTLE_COUNTER
	if
	:: sealed && allIn && allEnded -> complete()
	:: else
	fi
#endif
}

/* The next step of the plan begins in a generation that was never claimed.
 * @code session.Item.advance */
inline advance(i) {
	it[i].deaths = 0;
	it[i].doubts = 0;
	it[i].inbox = 0;
	if
	:: lastStep(i) -> finish(i, SUCCEEDED)
	:: else ->
		it[i].step++;
#ifdef REUSE_GENERATION
		it[i].gen = 0;
#else
		it[i].gen = used[i * STEPS + it[i].step];
#endif
		if
		:: it[i].gen < GENS -> it[i].st = QUEUED; it[i].task = 1
		:: else -> it[i].gen = GENS - 1; finish(i, FAILED) /* the bound of the model */
		fi
	fi
}

/* A step is put on the queue in a new generation. What it did to workers, and how
 * often it ended in doubt, counts on unless somebody decided.
 * @code session.Item.rerun @code session.Item.again */
inline rerun(i, to) {
	release(i);
	it[i].step = to;
	it[i].gen = used[i * STEPS + to];
	it[i].st = QUEUED;
	it[i].inbox = 0;
	it[i].task = 1
}
#define canRerun(i, s) (used[(i) * STEPS + (s)] < GENS)

/* Somebody decides about what a step's generations so far may have cost. */
inline decide(i, to) { decided[i * STEPS + to] = used[i * STEPS + to] }
inline afresh(i) { it[i].deaths = 0; it[i].doubts = 0 }

/* The outcome of a paid request is in doubt. The claim stays, and with it its
 * worker's token: a late acceptance is the evidence that is missing. */
inline doubtful(i, how) {
	it[i].st = RECONCILING;
	it[i].silent = how;
	it[i].doubts++;
	it[i].task = 1
}

/* Nothing tells it: a person decides. @code session.Item.Hold */
inline hold(i) {
	it[i].st = HELD;
	it[i].over = 1;
	it[i].silent = 0
}

/* The item's operation is known: it waits for it, or it was done at once.
 * @code session.Item.Accept @code session.Item.Adopt @code session.Item.AdoptClip
 * @code session.Item.charge */
inline accepted(i) {
	slot[current(i)] = RECORDED;
	release(i);
	it[i].inbox = 0;
	if
	:: it[i].st = WAITING; it[i].task = 1
	:: it[i].step == 0 && STEPS > 1 -> advance(i) /* Accepted.Clip */
	fi;
	wrote(i)
}

/* A delivery is over, well or not. An answer that nobody reads is a lost one. */
inline leave(w) {
	if
	:: pc[w] == SENT && slot[mine[w]] == ANSWERED -> slot[mine[w]] = BILLED
	:: pc[w] == SENT && slot[mine[w]] == REFUSED -> slot[mine[w]] = DROPPED
	:: else
	fi;
	pc[w] = IDLE;
	mine[w] = 0;
	fresh[w] = 0;
	token[w] = 0;
	late[w] = 0
}

/* An acceptance of a generation that the item has left is put on record all the same.
 * Where the step is about to be sent again and is not claimed yet, the item goes on
 * with the operation instead. @code session.Item.Stray */
inline stray(i, x) {
	if
	:: slot[x] != RECORDED && it[i].st == QUEUED && genOf(x) + 1 < GENS && is(x + 1) && used[lineOf(x)] <= it[i].gen ->
		it[i].st = WAITING; it[i].task = 1
	:: else
	fi;
	slot[x] = RECORDED;
	wrote(i)
}

/* A paid request leaves. @code handlers.Handlers.submit @code rest.onceBody */
inline leaves(w) {
	if
	:: slot[mine[w]] == NONE
	:: else -> broke_P1
	fi;
	slot[mine[w]] = FLYING;
	pc[w] = SENT
}

/* What was claimed was surely not charged: back on the queue in the same generation,
 * or, where it is pointless to repeat, the end.
 * @code session.Item.Release @code session.Item.Yield @code session.Item.Refuse @code handlers.Handlers.postpone */
inline unsent(i, w) {
	if
	:: token[w] && claimed(it[i].st) -> release(i); it[i].st = QUEUED; it[i].task = 1; wrote(i)
	:: token[w] && claimed(it[i].st) -> release(i); finish(i, FAILED); wrote(i)
	:: !(token[w] && claimed(it[i].st))
	fi
}

#ifdef SLOW_NETWORK
#define arrived(i) true /* broken: the assumption about the network */
#else
#define arrived(i) (slot[current(i)] != FLYING)
#endif
#ifdef EARLY_EVIDENCE
#define believed(i) true /* broken: whenever it is found */
#else
#define believed(i) (it[i].over || (!it[i].silent && arrived(i)))
#endif

/* One search for evidence. @code handlers.Handlers.Reconcile */
inline seek(i, w) {
	if
	/* What names the operation: a report under the item's own token, or a list that
	 * holds a clip that only this item can have. It stays true, and the write looks
	 * whether the item is still in that doubt: one step.
	 * @code session.Store.Reported @code handlers.Handlers.ownClip @code provider.Witness */
	:: it[i].inbox || slot[current(i)] == BILLED || slot[current(i)] == ANSWERED -> accepted(i); leave(w)
	/* Lists or a balance without the charge. They tell the truth about the moment of
	 * asking, and are believed only when nothing can be accepted any more: after the
	 * claim's until and a minute, or when the worker itself reported that it is done
	 * with the request, and the request has arrived or is lost.
	 * @code handlers.Handlers.askBooks @code handlers.Handlers.askBalance @code provider.Evidence */
	:: !charged(current(i)) && believed(i) -> pc[w] = ABSOLVE
	/* Nothing, and the horizon has passed: held for a person; or, where the session
	 * says so, sent again and presumed to be charged.
	 * @code handlers.Handlers.conclude @code session.Item.Repeat @code session.Item.presume */
	:: it[i].over ->
		if
		:: resubmits && it[i].deaths < DEATHS && it[i].doubts < DOUBTS && canRerun(i, it[i].step) ->
			decide(i, it[i].step); rerun(i, it[i].step)
		:: else -> hold(i)
		fi;
		wrote(i);
		leave(w)
	/* Nothing yet: it sleeps. @code handlers.Handlers.lookAgain */
	:: !it[i].over -> it[i].task = 1; leave(w)
	fi
}

proctype Worker(byte w) {
	byte i;
end:
	do
	/* A delivery, and the state that it finds. A task that is behind its item's
	 * state acts as if it were the one that follows from it: nothing proved here
	 * rests on a task's id. Idle workers are alike: the first one takes it.
	 * @code handlers.Handlers.begin @code session.Next */
	:: atomic { pc[w] == IDLE && (w == 0 || pc[0] != IDLE) && anyTask ->
		if
		:: it[0].task -> i = 0
#if ITEMS > 1
		:: it[1].task -> i = 1
#endif
		fi;
#ifdef QUEUE
		if
		:: it[i].task = 0
		:: faults > 0 -> faults-- /* delivered twice, or its ack will fail */
		fi;
#endif
		mine[w] = current(i);
		if
		:: it[i].st == QUEUED -> pc[w] = READY; fresh[w] = 1
		/* The poll asks once, and what it wrote is refused unless the item still waits
		 * for that operation: asking and writing are one step, then or never.
		 * @code handlers.Handlers.Poll @code session.Item.Finish @code session.Item.Lose */
		:: it[i].st == WAITING -> advance(i); wrote(i); leave(w)
		:: it[i].st == WAITING -> finish(i, FAILED); wrote(i); leave(w)
		:: it[i].st == WAITING && faults > 0 -> faults--; it[i].task = 1; leave(w) /* not done yet */
		:: it[i].st == RECONCILING -> seek(i, w)
		:: else -> leave(w) /* nothing follows, or another worker is at it */
		fi;
		i = 0
	  }

#ifdef INTENT_AFTER_SEND
	/* Broken: the intent is written when the answer is there. */
	:: atomic { pc[w] == READY && !fresh[w] -> leave(w) }
	:: atomic { pc[w] == READY && fresh[w] -> leaves(w) }
#else
	/* The claim: compare-and-set on the epoch that was read. The upload is claimed
	 * as running while it is prepared, the extend is sending at once.
	 * @code handlers.Handlers.claim @code session.Item.Take @code session.Store.WriteClaim */
	:: atomic { pc[w] == READY ->
		i = itemOf(mine[w]);
		if
#ifdef NO_EPOCH
		:: true -> /* broken: writes without comparing what they read */
			it[i].step = lineOf(mine[w]) % STEPS;
			it[i].gen = genOf(mine[w]);
#else
		:: !fresh[w] -> it[i].task = 1; leave(w)
		:: fresh[w] && halted -> finish(i, CANCELED); wrote(i); leave(w) /* @code session.Item.Cancel */
		:: fresh[w] && !halted ->
#endif
			release(i);
			token[w] = 1;
			if
			:: used[lineOf(mine[w])] <= it[i].gen -> used[lineOf(mine[w])] = it[i].gen + 1
			:: else
			fi;
			if
			:: lastStep(i) -> it[i].st = SENDING; pc[w] = CLAIMED
			:: else -> it[i].st = RUNNING; pc[w] = PREPARE
			fi;
			wrote(i)
		fi;
		i = 0
	  }
#endif

	/* What the upload ended with has expired before it was used: a free one is made
	 * again, and the extend is reached a second time. @code session.Item.Restage */
	:: atomic { pc[w] == READY && fresh[w] && faults > 0 && !paidUpload && it[itemOf(mine[w])].step > 0 && canRerun(itemOf(mine[w]), 0) ->
		faults--;
		i = itemOf(mine[w]);
		afresh(i); rerun(i, 0); wrote(i);
		leave(w); i = 0
	  }

	/* The preparation is done. Free: its result is recorded. Paid: the same token
	 * turns running into sending, and only then may the request leave.
	 * @code handlers.Handlers.Upload @code session.Item.Send */
	:: atomic { pc[w] == PREPARE ->
		i = itemOf(mine[w]);
		if
		:: !token[w] -> leave(w) /* the sweep took it away meanwhile */
		:: token[w] && !paid(i) -> release(i); advance(i); wrote(i); leave(w)
		:: token[w] && paid(i) -> it[i].st = SENDING; it[i].over = 0; pc[w] = CLAIMED; wrote(i)
		fi;
		i = 0
	  }
	/* It cannot be prepared for the time being, or never. */
	:: atomic { pc[w] == PREPARE && faults > 0 -> faults--; i = itemOf(mine[w]); unsent(i, w); leave(w); i = 0 }

	/* The request leaves once, unless its deadline has passed: the fence. Nothing
	 * in Redis is asked again before it. @code rest.onceBody @code rest.fence.over @code handlers.sendTimeout */
#ifdef NO_FENCE
	:: atomic { pc[w] == CLAIMED -> leaves(w) }
#else
	:: atomic { pc[w] == CLAIMED && !late[w] -> leaves(w) }
	:: atomic { pc[w] == CLAIMED && late[w] -> i = itemOf(mine[w]); unsent(i, w); leave(w); i = 0 }
#endif
	/* The claim was not confirmed by its replicas, its reply was lost, or no connection
	 * came about. @code handlers.Handlers.unclaimed @code session.ErrUnconfirmed */
	:: atomic { pc[w] == CLAIMED && faults > 0 -> faults--; i = itemOf(mine[w]); unsent(i, w); leave(w); i = 0 }

	/* The answer, and its record, by its billing class. Between reading and writing
	 * nothing of the world depends on the worker: one step.
	 * @code handlers.Handlers.refused @code fault.ChargeOf */
#ifdef INTENT_AFTER_SEND
	:: atomic { pc[w] == SENT && slot[mine[w]] == ANSWERED ->
		i = itemOf(mine[w]);
		if
		:: fresh[w] -> used[lineOf(mine[w])] = it[i].gen + 1; accepted(i)
		:: else
		fi;
		leave(w); i = 0
	  }
	:: atomic { pc[w] == SENT && slot[mine[w]] == REFUSED -> slot[mine[w]] = NONE; leave(w) }
	:: atomic { pc[w] == SENT && slot[mine[w]] != FLYING && slot[mine[w]] != ANSWERED -> leave(w) }
#else
	/* Accepted: recorded by the claim's token, also when the item is reconciling or
	 * held by now. @code handlers.Handlers.accept @code handlers.Handlers.record */
	:: atomic { pc[w] == SENT && (slot[mine[w]] == ANSWERED || slot[mine[w]] == RECORDED) ->
		i = itemOf(mine[w]);
		if
		:: token[w] -> accepted(i); leave(w)
		:: token[w] && faults > 0 -> faults--; accepted(i); pc[w] = STRAY /* the write's reply was lost: it is tried again */
		:: !token[w] -> pc[w] = STRAY
		fi;
		i = 0
	  }
	:: atomic { pc[w] == STRAY ->
		i = itemOf(mine[w]);
#ifndef NO_STRAY
		stray(i, mine[w]);
#endif
		if
		:: slot[mine[w]] == RECORDED
		:: else -> broke_P2b
		fi;
		leave(w); i = 0
	  }
	/* Surely not charged. */
	:: atomic { pc[w] == SENT && slot[mine[w]] == REFUSED ->
		slot[mine[w]] = NONE;
		i = itemOf(mine[w]);
		unsent(i, w);
		leave(w); i = 0
	  }
	/* Charged and failed: the failure is the record. @code session.Item.Refuse */
	:: atomic { pc[w] == SENT && slot[mine[w]] == SPOILT ->
		i = itemOf(mine[w]);
		if
		:: token[w] && it[i].st == SENDING -> slot[mine[w]] = RECORDED; release(i); finish(i, FAILED); wrote(i)
		:: else
		fi;
		leave(w); i = 0
	  }
	/* Unknown: no answer, a 5xx, half an answer. The claim stays, evidence is looked for.
	 * @code session.Item.Doubt @code handlers.Handlers.doubt */
	:: atomic { pc[w] == SENT && (slot[mine[w]] == BILLED || slot[mine[w]] == DROPPED || slot[mine[w]] == RECORDED || faults > 0) ->
		if
		:: slot[mine[w]] == BILLED || slot[mine[w]] == DROPPED || slot[mine[w]] == RECORDED
		:: else -> faults-- /* it did not wait long enough */
		fi;
		i = itemOf(mine[w]);
		if
		:: token[w] && it[i].st == SENDING ->
#if defined(RETRY_UNKNOWN)
			release(i); it[i].st = QUEUED; it[i].task = 1; /* broken: sent again */
#elif defined(DROP_UNKNOWN)
			release(i); finish(i, FAILED); /* broken: given up, as a failure like any other */
#else
			doubtful(i, 0);
#endif
			wrote(i)
		:: else
		fi;
		leave(w); i = 0
	  }
#endif

	/* What the evidence says is written if the item is still in that doubt.
	 * @code session.Item.Refute */
	:: atomic { pc[w] == ABSOLVE ->
		i = itemOf(mine[w]);
		if
		:: it[i].st == RECONCILING && about(i, w) ->
			if
			:: it[i].deaths >= DEATHS -> release(i); finish(i, FAILED)
			:: it[i].deaths < DEATHS && it[i].doubts < DOUBTS && canRerun(i, it[i].step) -> rerun(i, it[i].step)
			:: it[i].deaths < DEATHS && !(it[i].doubts < DOUBTS && canRerun(i, it[i].step)) -> hold(i)
			fi;
			wrote(i)
		:: else
		fi;
		leave(w); i = 0
	  }

	/* The process dies, wherever it is, and starts again under another name. Or the
	 * delivery ends in an error, since Redis stayed away longer than an outcome is tried
	 * to be written: its claim then belongs to nobody either.
	 * @code handlers.recordTimeout @code handlers.Handlers.reclaim */
	:: atomic { pc[w] != IDLE && faults > 0 -> faults--; leave(w) }
	od
}

/* The sweep, by whichever worker. Everything it does is a compare-and-set or an
 * enqueue. @code handlers.Handlers.Sweep */
#define SWEEP(i) \
	/* No task: one is enqueued. @code handlers.Handlers.sweepQueued */ \
	:: atomic { ready && !it[i].task && (it[i].st == QUEUED || it[i].st == WAITING || it[i].st == RECONCILING) -> it[i].task = 1 } \
	/* One that looks stuck is replaced, which is a write. */ \
	:: atomic { (it[i].st == QUEUED) && ((at(i, 0) && fresh[0]) || (at(i, 1) && fresh[1])) && faults > 0 -> \
		faults--; it[i].task = 1; wrote(i) } \
	/* Nobody acts under its claim any more, or it is over. */ \
	:: atomic { claimed(it[i].st) && (!holder(i) || it[i].over) -> orphan(i) } \
	/* Its worker is thought dead, and is not. */ \
	:: atomic { claimed(it[i].st) && holder(i) && !it[i].over && faults > 0 -> faults--; orphan(i) }

/* @code session.Item.Renew @code handlers.Handlers.replace @code handlers.Handlers.sweepClaimed */
#define holder(i) ((at(i, 0) && token[0]) || (at(i, 1) && token[1]))

/* A step is taken from its worker. @code handlers.Handlers.orphan @code session.Item.Orphan */
inline orphan(i) {
	it[i].deaths++;
	if
	:: it[i].st == SENDING ->
#ifdef ORPHAN_REQUEUES
		release(i); it[i].st = QUEUED /* broken: what a queue does by itself */
#else
		doubtful(i, 1)
#endif
	:: it[i].st == RUNNING ->
		release(i);
		if
		:: it[i].deaths >= DEATHS -> finish(i, FAILED)
		:: else -> it[i].st = QUEUED; it[i].task = 1
		fi
	fi;
	wrote(i)
}

proctype Sweep() {
end:
	do
#ifndef NO_SWEEP
	SWEEP(0)
#if ITEMS > 1
	SWEEP(1)
#endif
#endif
#ifdef QUEUE
	/* The queue loses a task, or its worker died between recording and enqueueing. */
	:: atomic { it[0].task && faults > 0 -> faults--; it[0].task = 0 }
#if ITEMS > 1
	:: atomic { it[1].task && faults > 0 -> faults--; it[1].task = 0 }
#endif
#endif
	od
}

/* Time. A request's deadline is before its claim's until. What left before its
 * deadline is accepted or lost a minute after the until: the one assumption about
 * the network. @code handlers.sendTimeout @code handlers.paidClaim */
#define doomed(i) ((claimed(it[i].st) || doubted(it[i].st)) && !it[i].over && arrived(i))
inline pass(i) {
	it[i].over = 1;
	it[i].silent = 0; /* of no interest from now on */
	if :: at(i, 0) && token[0] -> late[0] = 1 :: else fi;
	if :: at(i, 1) && token[1] -> late[1] = 1 :: else fi
}
#define CLOCK(i) \
	/* A worker that lives overruns its claim: it was frozen. */ \
	:: atomic { doomed(i) && claimed(it[i].st) && holder(i) && faults > 0 -> faults--; pass(i) } \
	/* Nobody is at it any more, or it was taken away already. */ \
	:: atomic { doomed(i) && !(claimed(it[i].st) && holder(i)) -> pass(i) }

proctype Clock() {
end:
	do
	:: atomic { pc[0] == CLAIMED && !late[0] && faults > 0 -> faults--; late[0] = 1 }
	:: atomic { pc[1] == CLAIMED && !late[1] && faults > 0 -> faults--; late[1] = 1 }
	CLOCK(0)
#if ITEMS > 1
	CLOCK(1)
#endif
	od
}

/* P1b: two charges of one step of one item. n is the later generation of the two
 * by number, whichever was charged first. */
#define undecidedTwin(x, y) ((x) != (y) && lineOf(x) == lineOf(y) && charged(y) \
	&& ((genOf(x) < genOf(y) && genOf(x) >= decided[lineOf(x)]) || (genOf(y) < genOf(x) && genOf(y) >= decided[lineOf(x)])))
#if GENS == 2
#define twin(x) (undecidedTwin(x, lineOf(x) * GENS) || undecidedTwin(x, lineOf(x) * GENS + 1))
#elif GENS == 3
#define twin(x) (undecidedTwin(x, lineOf(x) * GENS) || undecidedTwin(x, lineOf(x) * GENS + 1) || undecidedTwin(x, lineOf(x) * GENS + 2))
#else
#error "GENS is 2 or 3"
#endif

inline bill(x, how) {
	slot[x] = how;
	if
	:: twin(x) -> broke_P1b
	:: else
	fi
}

/* The provider bills on acceptance, and may lose the request or the answer. */
#define expected(x) ((pc[0] == SENT && mine[0] == (x)) || (pc[1] == SENT && mine[1] == (x)))
#define PROVIDE(x) \
	:: atomic { slot[x] == FLYING && expected(x) -> bill(x, ANSWERED) } \
	:: atomic { slot[x] == FLYING && !expected(x) -> bill(x, BILLED) } \
	:: atomic { slot[x] == FLYING && expected(x) && faults > 0 -> faults--; bill(x, BILLED) } \
	:: atomic { slot[x] == FLYING && faults > 0 -> faults--; bill(x, SPOILT) } \
	:: atomic { slot[x] == FLYING && expected(x) && faults > 0 -> faults--; slot[x] = REFUSED } \
	:: atomic { slot[x] == FLYING && faults > 0 -> faults--; slot[x] = DROPPED }

/* A delivery is stored, then acted upon: it settles a doubt; about a generation that
 * the item has left, it puts the operation on record. It comes at any time after the
 * acceptance, any number of times, or never; and one of another generation takes the
 * place of the one that the inbox had. @code session.Store.Report
 * @code session/lua/report.lua @code callback.delivery.act @code handlers.Handlers.Adopt */
#define gone(x) (!is(x) || ended(it[itemOf(x)].st))
#define reportable(x) (charged(x) && slot[x] != SPOILT)
#define CALLBACK(x) \
	:: atomic { reportable(x) && !gone(x) && !it[itemOf(x)].inbox && it[itemOf(x)].st != WAITING -> it[itemOf(x)].inbox = 1 } \
	:: atomic { reportable(x) && !is(x) && it[itemOf(x)].inbox -> it[itemOf(x)].inbox = 0 } \
	:: atomic { reportable(x) && is(x) && it[itemOf(x)].inbox && doubted(it[itemOf(x)].st) -> accepted(itemOf(x)) } \
	:: atomic { reportable(x) && gone(x) && slot[x] != RECORDED -> stray(itemOf(x), x) }

proctype Provider() {
end:
	do
	PROVIDE(0) PROVIDE(1)
#if NSLOTS > 2
	PROVIDE(2)
#endif
#if NSLOTS > 3
	PROVIDE(3)
#endif
#if NSLOTS > 4
	PROVIDE(4) PROVIDE(5)
#endif
	od
}

proctype Callbacks() {
end:
	do
	:: true -> skip /* weak fairness must not make a callback certain */
	CALLBACK(0) CALLBACK(1)
#if NSLOTS > 2
	CALLBACK(2)
#endif
#if NSLOTS > 3
	CALLBACK(3)
#endif
#if NSLOTS > 4
	CALLBACK(4) CALLBACK(5)
#endif
	od
}

/* People, through segue resolve, retry and cancel.
 * @code session.Item.Resubmit @code session.Item.Abandon @code session.Item.Retry */
#define OPERATE(i) \
	:: atomic { ops > 0 && doubted(it[i].st) && reportable(current(i)) -> ops--; accepted(i) } \
	:: atomic { ops > 0 && doubted(it[i].st) && canRerun(i, it[i].step) -> \
		ops--; decide(i, it[i].step); afresh(i); rerun(i, it[i].step); wrote(i) } \
	:: atomic { ops > 0 && doubted(it[i].st) -> \
		ops--; decide(i, it[i].step); release(i); finish(i, FAILED); wrote(i) } \
	:: atomic { ops > 0 && (it[i].st == FAILED || it[i].st == CANCELED) && canRerun(i, it[i].step) -> \
		ops--; halted = 0; decide(i, it[i].step); afresh(i); rerun(i, it[i].step); wrote(i) } \
	:: atomic { ops > 0 && (it[i].st == FAILED || it[i].st == CANCELED) && it[i].step > 0 && canRerun(i, 0) -> \
		ops--; halted = 0; decide(i, 0); decide(i, it[i].step); afresh(i); rerun(i, 0); wrote(i) }

proctype Operator() {
end:
	do
	:: true -> skip
	OPERATE(0)
#if ITEMS > 1
	OPERATE(1)
#endif
	/* One flag, which the claim looks at. @code session.Store.Cancel @code session/lua/cancel.lua */
	:: atomic { ops > 0 && sealed && !halted && !allEnded -> ops--; halted = 1 }
	od
}

/* A submission adds items, and seals; repeated after a crash, it changes nothing
 * that is there. An open session is worked on before it is sealed. Sealing may
 * itself complete it. @code session/lua/add.lua @code session/lua/seal.lua @code session.Store.Seal */
proctype Producer() {
end:
	do
	:: atomic { it[0].st == ABSENT -> it[0].st = QUEUED }
#if ITEMS > 1
	:: atomic { it[1].st == ABSENT && it[0].st != ABSENT -> it[1].st = QUEUED }
#endif
	:: atomic { it[0].st != ABSENT && !ready -> ready = 1 }
	:: atomic { allIn && !sealed ->
		sealed = 1; ready = 1;
#ifndef SETTLE_COUNTER
		if
		:: allEnded -> complete()
		:: else
		fi
#endif
	  }
	od
}

#ifdef SETTLE_COUNTER
/* Broken: who finds an item ended counts it, and the count says when the session is
 * complete. A task that is delivered twice counts twice. */
proctype Counter() {
end:
	do
	:: atomic { sealed && completions == 0 && anyEnded ->
		done++;
		if
		:: done == ITEMS -> complete()
		:: else
		fi
	  }
	od
}
#endif

/* What follows a completion is done, then recorded as done; only the first record
 * counts. @code handlers.Handlers.Settle @code session.Store.Owes @code session/lua/settle.lua */
proctype Settler() {
	byte n;
end:
	do
	:: atomic { n == 0 && owed[1] -> n = 1 }
#if OPS > 0
	:: atomic { n == 0 && owed[2] -> n = 2 }
#endif
	:: atomic { n > 0 ->
		if
#ifdef SETTLE_UNFENCED
		:: true -> owed[n] = 0; effects[n]++
#else
		:: owed[n] -> owed[n] = 0; effects[n]++
		:: !owed[n]
#endif
		fi;
		if
		:: effects[n] <= 1
		:: else -> broke_P3once
		fi;
		n = 0
	  }
	:: atomic { n > 0 && faults > 0 -> faults--; n = 0 }
	od
}

/* P2, in every state. */
#define lost(x) (slot[x] >= BILLED && slot[x] != RECORDED && genOf(x) >= decided[lineOf(x)] \
	&& !(is(x) && (it[itemOf(x)].st == SENDING || doubted(it[itemOf(x)].st))))
#if NSLOTS == 2
#define anyLost (lost(0) || lost(1))
#elif NSLOTS == 3
#define anyLost (lost(0) || lost(1) || lost(2))
#elif NSLOTS == 4
#define anyLost (lost(0) || lost(1) || lost(2) || lost(3))
#elif NSLOTS == 6
#define anyLost (lost(0) || lost(1) || lost(2) || lost(3) || lost(4) || lost(5))
#else
#error "so many slots are not looked after"
#endif
proctype Monitor() {
end:
	atomic { anyLost -> broke_P2 }
}

init {
	atomic {
		it[0].task = 1;
#if ITEMS > 1
		it[1].task = 1;
#endif
		if
		:: paidUpload = 0
		:: STEPS > 1 -> paidUpload = 1
		fi;
		if
		:: resubmits = 0
		:: resubmits = 1
		fi;
#ifdef SUBMIT
		run Producer();
		run Settler();
#ifndef LIVE
		run Settler(); /* a second one adds nothing to whether there is progress */
#endif
#else
		it[0].st = QUEUED; sealed = 1; ready = 1;
#if ITEMS > 1
		it[1].st = QUEUED;
#endif
#endif
#ifdef SETTLE_COUNTER
		run Counter();
#endif
		run Worker(0);
		run Worker(1);
		run Sweep();
		run Clock();
		run Provider();
		run Callbacks();
#ifndef LIVE
		run Monitor();
#endif
#if OPS > 0
		run Operator();
#endif
		skip
	}
}

#ifdef LIVE
#if ITEMS == 1
#define settledDown (allIn && (ended(it[0].st) || it[0].st == HELD))
#else
#define settledDown (allIn && (ended(it[0].st) || it[0].st == HELD) && (ended(it[1].st) || it[1].st == HELD))
#endif
#ifdef SUBMIT
#if OPS > 0
#define nothingOwed (!owed[1] && !owed[2])
#else
#define nothingOwed (!owed[1])
#endif
#else
#define nothingOwed true
#endif
ltl live { []<> (settledDown && nothingOwed) }
#endif
