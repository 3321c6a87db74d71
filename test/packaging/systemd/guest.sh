# What the unit of the tests runs in the virtual machine: the tests, and of a failure the journal.
export LC_ALL=C.UTF-8 NO_COLOR=1 HOME=/root
exec </dev/null >/dev/ttyS1 2>&1
stty -F /dev/ttyS1 raw -echo
cd /run/vm
. ./environment
# Others than root must be able to read it: apt has a user of its own for that.
install -m 644 loopwarden.deb /var/tmp/loopwarden.deb
echo booted >booted
status=0
timeout "$LIMIT" node --test --test-name-pattern="^apt-get installs" --test-name-pattern="$PATTERN" --test-reporter=spec --test-reporter-destination=stdout \
	--test-reporter=./test-reporter.mjs --test-reporter-destination=counts package.test.js || status=$?
if [ "$status" -ne 0 ]; then
	echo '-- journal'
	journalctl --boot --no-pager --output short-monotonic --lines 300 --unit 'loopwarden*' --unit prometheus.service
fi
echo "$status" >status
sync
systemctl poweroff -ff
