# Usage: bash program.sh busy|idle. Says what it reads at first, and at each line of its input. In
# between a busy one looks all the time, and says so when it sees an older value than before.
last=0
look() {
  now=${TOKEN#t-}
  if [ "$now" -lt "$last" ]; then echo "went back from $last to $now"; fi
  last=$now
}
say() { look; echo "says $now $MURMUR_GENERATION"; }
wait=()
[ "$1" = idle ] || wait=(-t 0.03)
say
while :; do
  if read -r "${wait[@]}"; then say; elif [ $? -gt 128 ]; then look; else exit 0; fi
done
