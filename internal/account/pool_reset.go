package account

// Reset forgets the accounts that were opened, so that each is opened anew when it is
// asked for the next time: with the key and the limits of the configuration as it is by
// then. Those that somebody holds go on working. The function that opens accounts must
// not call it.
func (p *Pool) Reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	clear(p.kept)
}
