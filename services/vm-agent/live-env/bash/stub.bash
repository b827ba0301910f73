{ enable -f "${MURMUR_LIVE_DIR-}/bash/murmur-bash.so" murmur_live; [[ ! ${MURMUR_BASH_ENV-} || ! -r ${MURMUR_BASH_ENV@P} || -d ${MURMUR_BASH_ENV@P} ]]; } 2>/dev/null || . "${MURMUR_BASH_ENV@P}"
